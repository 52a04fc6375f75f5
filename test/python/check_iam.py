"""Reads {"policies": {name: JSON}, "hcl": {name: text}} from stdin; says what parliament finds, and what the HCL holds."""

import json
import sys

import hcl2
from parliament import analyze_policy_string

given = json.load(sys.stdin)
findings = {
    name: [[finding.issue, str(finding.detail)] for finding in analyze_policy_string(text).findings]
    for name, text in given["policies"].items()
}
parsed = {name: hcl2.loads(text) for name, text in given["hcl"].items()}
json.dump({"findings": findings, "hcl": parsed}, sys.stdout, default=str)
