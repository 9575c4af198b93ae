"""The image list, for the other files of rules: read once, when the workflow is parsed.

Included in a pipeline, nothing but `_skyport` goes into its namespace, and nothing but what is below `skyport` in its
config is looked at.
"""

from skyport_wf.pipelines.opening import open_rules as _skyport_open

_skyport = _skyport_open(workflow, config)
