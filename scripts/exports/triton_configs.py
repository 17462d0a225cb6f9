"""config.pbtxt files in the ways in which Triton's documentation and its users write them."""

import re


def folder_name(text):
    """The name that a file gives its model: Triton wants the folder to be called the same."""
    found = re.search(r'^name\s*:\s*"([^"]+)"', text, re.MULTILINE)
    return found and found.group(1)


DENSENET = """\
name: "densenet_onnx"
platform: "onnxruntime_onnx"
max_batch_size : 1
input [
  {
    name: "data_0"
    data_type: TYPE_FP32
    format: FORMAT_NCHW
    dims: [ 3, 8, 8 ]
  }
]
output [
  {
    name: "fc6_1"
    data_type: TYPE_FP32
    dims: [ 5 ]
    reshape { shape: [ 5, 1, 1 ] }
    label_filename: "densenet_labels.txt"
  }
]"""

BATCHED = """\
# Tuned with the model analyzer.
name: "classifier"
backend: "onnxruntime"
max_batch_size: 8

input {
  name: "input"
  data_type: TYPE_FP32
  format: FORMAT_NCHW
  dims: [ 3, 8, 8 ]
}
output: [
  {
    name: "probabilities",
    data_type: TYPE_FP32,
    dims: [ 5 ],
    label_filename: "labels.txt"
  }
]

version_policy: { specific: { versions: [ 1 ] } }
instance_group [
  {
    count: 2
    kind: KIND_CPU
  }
]
dynamic_batching {
  preferred_batch_size: [ 4, 8 ]
  max_queue_delay_microseconds: 100  # a tenth of a millisecond
}
optimization { graph { level: 1 } }
parameters { key: "intra_op_thread_count" value: { string_value: "1" } }
model_warmup [
  {
    name: "random"
    batch_size: 2
    inputs {
      key: "input"
      value {
        data_type: TYPE_FP32
        dims: [ 3, 8, 8 ]
        random_data: true
      }
    }
  },
  {
    name: "a picture"
    batch_size: 1
    inputs: {
      key: "input"
      value: { data_type: TYPE_FP32 dims: [ 3, 8, 8 ] input_data_file: "picture" }
    }
  }
]
"""

MINIMAL = "max_batch_size: 16\n"

TOKENS = """\
name: "bert_sentiment"
platform: "onnxruntime_onnx"
max_batch_size: 64

input [
  {
    name: "input_ids"
    data_type: TYPE_INT64
    dims: [ -1 ]  # Variable length sequences
  },
  {
    name: "attention_mask"
    data_type: TYPE_INT64
    dims: [ -1 ]
  }
]

output [
  {
    name: "logits"
    data_type: TYPE_FP32
    dims: [ 2 ]
  }
]

dynamic_batching { }
"""


def simple(name, kind):
    """One of Triton's own examples: two inputs and two outputs of sixteen elements."""
    tensor = """\
  {{
    name: "{}"
    data_type: {}
    dims: [ 16 ]
  }}"""
    inputs = ",\n".join(tensor.format(f"INPUT{index}", kind) for index in range(2))
    outputs = ",\n".join(tensor.format(f"OUTPUT{index}", kind) for index in range(2))
    return (f'name: "{name}"\nplatform: "onnxruntime_onnx"\nmax_batch_size: 8\n'
            f"input [\n{inputs}\n]\noutput [\n{outputs}\n]\n")


STRINGS = simple("simple_string", "TYPE_STRING")
VERSIONS = simple("simple", "TYPE_INT32")


def warmed(name):
    """An input of a warm-up whose values lie in a file."""
    value = 'value { data_type: TYPE_STRING dims: [ 16 ] input_data_file: "numbers" }'
    return f'    inputs {{\n      key: "{name}"\n      {value}\n    }}\n'


WARMED_STRINGS = STRINGS + f"""\
model_warmup [
  {{
    name: "numbers"
    batch_size: 1
{warmed("INPUT0")}{warmed("INPUT1")}  }}
]
"""

UNBATCHED = """\
backend: 'onnxruntime'
default_model_filename: "net.onnx"
input [ { name: "flags" data_type: TYPE_BOOL dims: [ -1, 2 ] },
        { name: "values" data_type: TYPE_FP16 dims: [ -1, 2 ] } ]
output [ { name: "chosen" data_type: TYPE_FP16 dims: [ -1, 2 ] } ]
"""
