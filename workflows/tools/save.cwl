#!/usr/bin/env cwl-runner
cwlVersion: v1.0
class: CommandLineTool
label: Write a Docker image to a canonical archive
doc: |
  Step 2 of 4. Writes the image of a build record to a gzipped file that is the same for the same image on every
  engine. Of an image that is published already the file is empty.
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
hints:
  SoftwareRequirement:
    packages:
      skyport-wf:
        version: ["0.1.0"]
  cwltool:WorkReuse: # what the engine and Shock hold can change between two runs
    enableReuse: false
  cwltool:LoadListingRequirement: # the build context may have very many files
    loadListing: no_listing

baseCommand: [skyport-wf, save]
arguments:
  - prefix: --archive
    valueFrom: "{key}.tar.gz"
  - prefix: --record
    valueFrom: "{key}.save.json"
inputs:
  build:
    type: File
    label: The build record, from build.cwl
    format: edam:format_3464
    inputBinding:
      position: 1
  project:
    type: Directory?
    label: The folder that holds images.yaml and all that it names
    doc: Needed for an image that comes from an archive, where the engine's steps run on copies of their inputs.
    inputBinding:
      prefix: --images
  docker_host:
    type: string
    label: Where the Docker engine answers
    doc: As the docker command reads DOCKER_HOST; a path is one on the machine that runs the step.
    default: unix:///var/run/docker.sock
outputs:
  archive:
    type: File
    label: The image, as docker load reads it
    format: edam:format_3989
    outputBinding:
      glob: "*.tar.gz"
  record:
    type: File
    label: The save record, for upload.cwl
    format: edam:format_3464
    outputBinding:
      glob: "*.save.json"
temporaryFailCodes: [75] # engine or Shock unreachable: running it again may work
