#!/usr/bin/env cwl-runner
cwlVersion: v1.0
class: CommandLineTool
label: Note which image each name stands for
doc: |
  Writes the lock file of these receipts: a file to commit beside images.yaml, which `skyport-wf verify` reads.
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

baseCommand: [skyport-wf, lock]
arguments:
  - prefix: --lock
    valueFrom: images.lock.json
inputs:
  receipts:
    type: File[]
    label: Receipts of published images
    format: edam:format_3464
    inputBinding:
      position: 1
outputs:
  lock:
    type: File
    label: The lock file
    format: edam:format_3464
    outputBinding:
      glob: "images.lock.json"
