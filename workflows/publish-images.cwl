#!/usr/bin/env cwl-runner
cwlVersion: v1.0
class: Workflow
label: Publish every Docker image of an image list to Shock
doc: |
  What `snakemake publish_all` does, for CWL runners whose steps share a disk. An image that is built on another one of the
  list waits for it, where a runner starts all of them at the same moment.
$namespaces:
  cwltool: http://commonwl.org/cwltool#
  edam: http://edamontology.org/
  s: https://schema.org/
s:license: https://spdx.org/licenses/MIT
requirements:
  ScatterFeatureRequirement: {}
  SubworkflowFeatureRequirement: {}
hints:
  cwltool:Secrets: # keeps the token out of logs and provenance
    secrets: [token]
  cwltool:LoadListingRequirement: # the build context may have very many files
    loadListing: no_listing

inputs:
  project:
    type: Directory
    label: The folder that holds images.yaml and all that it names
  wait:
    type: int
    label: Seconds to wait until the images that this one is built on are published
    default: 900
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
  plan:
    run: tools/plan.cwl
    in:
      project: project
    out: [names]
  publish:
    run: publish-image.cwl
    # skyport-wf lint: ignore (AWE cannot scatter over a workflow, and has publish-images.awe.cwl)
    scatter: name
    in:
      name: plan/names
      project: project
      wait: wait
      docker_host: docker_host
      shock_url: shock_url
      skyport_data: skyport_data
      token: token
      token_file: token_file
    out: [receipt, packages]
  note:
    run: tools/lock.cwl
    in:
      receipts: publish/receipt
    out: [lock]

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
  lock:
    type: File
    label: Which image each name stands for
    format: edam:format_3464
    outputSource: note/lock
