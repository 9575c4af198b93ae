#!/usr/bin/env cwl-runner
cwlVersion: v1.0
class: CommandLineTool
label: Publish a Docker image to Shock, in one step
doc: |
  Builds one image of an image list, streams it to Shock without a file in between, and publishes it under its name.
  For AWE, and for runners without a shared disk: the four steps of publish-image.cwl would carry the archive around.
$namespaces:
  cwltool: http://commonwl.org/cwltool#
  edam: http://edamontology.org/
  s: https://schema.org/
s:license: https://spdx.org/licenses/MIT
requirements:
  ResourceRequirement:
    coresMin: 1
    ramMin: 256
  EnvVarRequirement:
    envDef:
      DOCKER_HOST: $(inputs.docker_host)
      SHOCK_URL: $(inputs.shock_url)
      SKYPORT_DATA: $(inputs.skyport_data)
      KB_AUTH_TOKEN: $(inputs.token)
      SHOCK_TOKEN_FILE: $(inputs.token_file)
hints:
  SoftwareRequirement:
    packages:
      skyport-wf:
        version: ["0.1.0"]
  cwltool:WorkReuse: # what the engine and Shock hold can change between two runs
    enableReuse: false
  cwltool:Secrets: # keeps the token out of logs and provenance
    secrets: [token]
  cwltool:LoadListingRequirement: # the build context may have very many files
    loadListing: no_listing

baseCommand: [skyport-wf, publish, --one]
arguments:
  - prefix: --record
    valueFrom: "{key}.receipt.json"
  - prefix: --sbom
    valueFrom: "{key}.packages.cdx.json"
inputs:
  name:
    type: string
    label: REPO:TAG of an image of the list
    inputBinding:
      position: 1
      prefix: "--" # a name that begins with a dash is no option
  project:
    type: Directory
    label: The folder that holds images.yaml and all that it names
    inputBinding:
      prefix: --images
  docker_host:
    type: string
    label: Where the Docker engine answers
    doc: As the docker command reads DOCKER_HOST; a path is one on the machine that runs the step.
    default: unix:///var/run/docker.sock
  shock_url:
    type: string
    label: The Shock to publish to
    doc: Wins over shock.url of the image list; the list decides if this is empty.
    default: ""
  skyport_data:
    type: string
    label: Where the embedded Shock keeps its data
    doc: An absolute path on the machine that runs the step. Needed where the Shock is `embedded`.
    default: ""
  token:
    type: string
    label: The token for the Shock
    doc: |
      Given to the command in KB_AUTH_TOKEN, which token_env of the image list has to name (it does by default).
      Not for AWE, which writes the job's values where others can read them: use token_file there.
    default: ""
  token_file:
    type: string
    label: A file that holds the token
    doc: An absolute path on the machine that runs the step. Wins over token.
    default: ""
outputs:
  receipt:
    type: File
    label: What was published where
    format: edam:format_3464
    outputBinding:
      glob: "*.receipt.json"
  packages:
    type: File
    label: The packages in it, as CycloneDX
    format: edam:format_3464
    outputBinding:
      glob: "*.packages.cdx.json"
temporaryFailCodes: [75] # engine or Shock unreachable: running it again may work
