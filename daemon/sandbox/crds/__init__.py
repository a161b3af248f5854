"""CustomResourceDefinitions of Gloo's kinds, in our own words, as files of the package.

The schemas know every field of Gloo 1.22, so that a misspelt one is pruned or refused as it would
be by a real cluster. Parts that mean nothing here are open: any content is kept.
"""

import json
from importlib import resources

import yaml

from daemon.ports import Obj


def gloo_crds() -> list[Obj]:
    """Read all definitions, sorted by file name; each call returns objects of its own."""
    files = resources.files(__name__).iterdir()
    texts = [f.read_text("utf-8") for f in sorted(files, key=lambda f: f.name) if ".yaml" in f.name]
    # The files use anchors; JSON makes plain trees of them that can be changed apart.
    return [json.loads(json.dumps(yaml.safe_load(text))) for text in texts]
