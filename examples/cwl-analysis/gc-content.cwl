#!/usr/bin/env cwl-runner
cwlVersion: v1.0
class: CommandLineTool
label: Compute the GC content of sequences
doc: Runs in an image that is published to Shock. Nothing but the id or name of the image is needed here, as the engine has it.
requirements:
  DockerRequirement:
    dockerImageId: example/gc-content:1.0 # by id, not dockerPull: no registry is to be asked for it
baseCommand: gc-content
inputs:
  sequences:
    type: File
    label: Sequences in FASTA
    inputBinding:
      position: 1
  image:
    type: File
    label: What the step wrote that loaded the image; it has to come first
stdout: gc-content.tsv
outputs:
  table:
    type: stdout
    label: Name, length and GC content in percent
