#!/usr/bin/env cwl-runner
cwlVersion: v1.0
class: Workflow
label: Publish Docker images to Shock, a work unit each
doc: |
  What to submit to AWE, which packs it itself. Each image is one work unit that keeps the archive to itself; between work
  units AWE would store it in Shock once more.
$namespaces:
  cwltool: http://commonwl.org/cwltool#
  edam: http://edamontology.org/
  s: https://schema.org/
s:license: https://spdx.org/licenses/MIT
requirements:
  ScatterFeatureRequirement: {}
hints:
  cwltool:Secrets: # keeps the token out of logs and provenance
    secrets: [token]
  cwltool:LoadListingRequirement: # the build context may have very many files
    loadListing: no_listing

inputs:
  names:
    type: string[]
    label: REPO:TAG of images of the list
  project:
    type: Directory
    label: The folder that holds images.yaml and all that it names
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

steps:
  publish:
    run: publish-image.tool.cwl
    scatter: name
    in:
      name: names
      project: project
      docker_host: docker_host
      shock_url: shock_url
      skyport_data: skyport_data
      token: token
      token_file: token_file
    out: [receipt, packages]

outputs:
  receipts:
    type: File[]
    label: What was published where, an image each
    format: edam:format_3464
    outputSource: publish/receipt
  packages:
    type: File[]
    label: The packages in each, as CycloneDX
    format: edam:format_3464
    outputSource: publish/packages
