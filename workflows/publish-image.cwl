#!/usr/bin/env cwl-runner
cwlVersion: v1.0
class: Workflow
label: Publish a Docker image to Shock
doc: |
  build -> save -> upload -> register: the four steps for one image of an image list, for runners whose steps share a
  disk. The engine is not among the inputs and outputs: build and save have to run where docker_host is the same one.
$namespaces:
  cwltool: http://commonwl.org/cwltool#
  edam: http://edamontology.org/
  s: https://schema.org/
s:license: https://spdx.org/licenses/MIT
hints:
  cwltool:Secrets: # keeps the token out of logs and provenance
    secrets: [token]
  cwltool:LoadListingRequirement: # the build context may have very many files
    loadListing: no_listing

inputs:
  name:
    type: string
    label: REPO:TAG of an image of the list
  project:
    type: Directory
    label: The folder that holds images.yaml and all that it names
  wait:
    type: int
    label: Seconds to wait until the images that this one is built on are published
    default: 0
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
  build:
    run: tools/build.cwl
    in:
      name: name
      project: project
      wait: wait
      docker_host: docker_host
      shock_url: shock_url
      skyport_data: skyport_data
      token: token
      token_file: token_file
    out: [record]
  save:
    run: tools/save.cwl
    in:
      build: build/record
      project: project
      docker_host: docker_host
    out: [archive, record]
  upload:
    run: tools/upload.cwl
    in:
      save: save/record
      archive: save/archive
      shock_url: shock_url
      skyport_data: skyport_data
      token: token
      token_file: token_file
    out: [record]
  register:
    run: tools/register.cwl
    in:
      upload: upload/record
      shock_url: shock_url
      skyport_data: skyport_data
      token: token
      token_file: token_file
    out: [receipt]
  list:
    run: tools/sbom.cwl
    in:
      receipt: register/receipt
      project: project
      shock_url: shock_url
      skyport_data: skyport_data
      token: token
      token_file: token_file
    out: [packages]

outputs:
  receipt:
    type: File
    label: What was published where
    format: edam:format_3464
    outputSource: register/receipt
  packages:
    type: File
    label: The packages in it, as CycloneDX
    format: edam:format_3464
    outputSource: list/packages
