#!/usr/bin/env cwl-runner
cwlVersion: v1.0
class: CommandLineTool
label: List the packages in a published Docker image
doc: |
  Reads the image from Shock and writes its packages as CycloneDX: the receipt's side file.
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

baseCommand: [skyport-wf, sbom]
arguments:
  - prefix: --record
    valueFrom: "{key}.packages.cdx.json"
inputs:
  receipt:
    type: File
    label: The receipt, from register.cwl
    format: edam:format_3464
    inputBinding:
      position: 1
  project:
    type: Directory
    label: The folder that holds images.yaml, for the settings of the Shock
    inputBinding:
      prefix: --images
  shock_url:
    type: string
    label: The Shock that has the image
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
  packages:
    type: File
    label: The packages in the image, as CycloneDX
    format: edam:format_3464
    outputBinding:
      glob: "*.packages.cdx.json"
temporaryFailCodes: [75] # Shock unreachable: running it again may work
