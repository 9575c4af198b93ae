#!/usr/bin/env cwl-runner
cwlVersion: v1.0
class: Workflow
label: Publish an image, and run an analysis in it
doc: |
  publish -> pull -> analyse. The image goes to Shock by the four steps; what was published is then loaded from there, as
  an AWE worker would, and the analysis runs in exactly that image.
$namespaces:
  cwltool: http://commonwl.org/cwltool#
requirements:
  SubworkflowFeatureRequirement: {}
hints:
  cwltool:Secrets:
    secrets: [token]
  cwltool:LoadListingRequirement:
    loadListing: no_listing

inputs:
  sequences: File
  project: Directory
  image:
    type: string
    default: example/gc-content:1.0
  docker_host:
    type: string
    default: unix:///var/run/docker.sock
  shock_url:
    type: string
    default: ""
  skyport_data:
    type: string
    default: ""
  token:
    type: string
    default: ""
  token_file:
    type: string
    default: ""

steps:
  publish:
    # skyport-wf lint: ignore (for runners whose steps share a disk, not for AWE)
    run: workflows/publish-image.cwl
    in:
      name: image
      project: project
      docker_host: docker_host
      shock_url: shock_url
      skyport_data: skyport_data
      token: token
      token_file: token_file
    out: [receipt]
  pull:
    # skyport-wf lint: ignore (the same)
    run: workflows/tools/pull.cwl
    in:
      name: image
      receipt: publish/receipt
      project: project
      docker_host: docker_host
      shock_url: shock_url
      skyport_data: skyport_data
      token: token
      token_file: token_file
    out: [pulled]
  analyse:
    run: gc-content.cwl
    in:
      sequences: sequences
      image: pull/pulled
    out: [table]

outputs:
  table:
    type: File
    outputSource: analyse/table
  receipt:
    type: File
    outputSource: publish/receipt
