#!/usr/bin/env cwl-runner
cwlVersion: v1.0
class: CommandLineTool
label: Read what an image list says there is to publish
doc: |
  Checks the image list and the files that it names; asks neither the engine nor the Shock.
$namespaces:
  cwltool: http://commonwl.org/cwltool#
  edam: http://edamontology.org/
  s: https://schema.org/
s:license: https://spdx.org/licenses/MIT
requirements:
  ResourceRequirement:
    coresMin: 1
    ramMin: 256
hints:
  SoftwareRequirement:
    packages:
      skyport-wf:
        version: ["0.1.0"]
  cwltool:WorkReuse: # what the engine and Shock hold can change between two runs
    enableReuse: false
  cwltool:LoadListingRequirement: # the build context may have very many files
    loadListing: no_listing

baseCommand: [skyport-wf, plan]
arguments:
  - --json
inputs:
  project:
    type: Directory
    label: The folder that holds images.yaml and all that it names
    inputBinding:
      prefix: --images
outputs:
  names:
    type: string[]
    label: The images, each after those of the list that it is built on
  images:
    type: Any
    label: What each of them is made from
stdout: cwl.output.json # a runner takes the outputs from it, so no JavaScript is needed
