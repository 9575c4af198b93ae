#!/usr/bin/env cwl-runner
cwlVersion: v1.0
class: CommandLineTool
label: Send a Docker image to Shock, hidden
doc: |
  Step 3 of 4. Sends the archive to a node that nobody finds by the image's name, and that deletes itself after
  two days unless register.cwl is run.
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

baseCommand: [skyport-wf, upload]
arguments:
  - prefix: --record
    valueFrom: "{key}.upload.json"
inputs:
  save:
    type: File
    label: The save record, from save.cwl
    format: edam:format_3464
    inputBinding:
      position: 1
  archive:
    type: File
    label: The image, from save.cwl
    format: edam:format_3989
    inputBinding:
      prefix: --archive
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
  record:
    type: File
    label: The upload record, for register.cwl
    format: edam:format_3464
    outputBinding:
      glob: "*.upload.json"
temporaryFailCodes: [75] # engine or Shock unreachable: running it again may work
