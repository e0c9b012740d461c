"""Our own safetensors: the same bytes for the same content, and what the library reads."""

import json

import pytest
import torch
from safetensors.torch import load

from lpw_toolkit.networks.tensor_file import encode_tensors, parse_tensors

TENSORS = {
    "b": torch.arange(6, dtype=torch.float32).reshape(2, 3),
    "a": torch.tensor([1, 2], dtype=torch.int64),
    "c": torch.tensor(True),
}
FACTS = {f"fact{number}": f"é {number}" for number in range(20)}


def test_the_order_of_tensors_and_properties_is_no_matter():
    whole = encode_tensors(TENSORS, FACTS)
    turned = dict(reversed(TENSORS.items())), dict(reversed(FACTS.items()))
    assert encode_tensors(*turned) == whole
    n_header = int.from_bytes(whole[:8], "little")
    assert n_header % 8 == 0
    header = json.loads(whole[8 : 8 + n_header])
    assert list(header["__metadata__"]) == sorted(FACTS)


@pytest.mark.parametrize("facts", [FACTS, {}])
def test_it_is_read_by_the_library_and_by_us(facts):
    data = encode_tensors(TENSORS, facts)
    tensors, told = parse_tensors(data)
    assert told == facts
    for read in (tensors, load(data)):
        assert read.keys() == TENSORS.keys()
        assert all(torch.equal(read[name], TENSORS[name]) for name in TENSORS)
