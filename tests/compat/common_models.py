"""transformers' own tests of a model, on MiniMind (dense, mixture) and, for comparison, Llama. test_common_models.py
runs this file with the `tests` package of transformers' source distribution in front of the path."""

import unittest

import torch
from hf_tests.test_modeling_common import ModelTesterMixin
from transformers import LlamaConfig, LlamaForCausalLM, LlamaModel
from transformers.models.auto import modeling_auto

from model.model_minimind import MiniMindConfig, MiniMindForCausalLM, MiniMindModel

modeling_auto.MODEL_MAPPING_NAMES["minimind"] = "MiniMindModel"  # by which the tests tell what a class is
modeling_auto.MODEL_FOR_CAUSAL_LM_MAPPING_NAMES["minimind"] = "MiniMindForCausalLM"
SIZES = {
    "vocab_size": 99, "hidden_size": 32, "intermediate_size": 40, "num_hidden_layers": 2, "num_attention_heads": 4,
    "num_key_value_heads": 2, "max_position_embeddings": 512, "pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2,
}  # fmt: skip


class Inputs:
    """What the mixin asks of a model's tester."""

    batch_size, seq_length, is_training = 2, 7, True
    hidden_size, num_hidden_layers, num_attention_heads = (
        SIZES[name] for name in ("hidden_size", "num_hidden_layers", "num_attention_heads")
    )

    def __init__(self, make_config):
        self.get_config = make_config

    def prepare_config_and_inputs_for_common(self):
        ids = torch.randint(3, SIZES["vocab_size"], (self.batch_size, self.seq_length))
        return self.get_config(), {"input_ids": ids, "attention_mask": torch.ones_like(ids)}


class CommonTests(ModelTesterMixin):
    test_resize_embeddings = True

    def setUp(self):
        self.model_tester = Inputs(self.make_config)

    @property
    def _torch_compile_train_cls(self):
        return self.all_model_classes[1]


class TestLlama(CommonTests, unittest.TestCase):
    all_model_classes = (LlamaModel, LlamaForCausalLM)

    def make_config(self):
        return LlamaConfig(**SIZES, tie_word_embeddings=True)


class TestDense(CommonTests, unittest.TestCase):
    all_model_classes = (MiniMindModel, MiniMindForCausalLM)

    def make_config(self):
        return MiniMindConfig(**SIZES)


class TestMoe(TestDense):
    def make_config(self):
        return MiniMindConfig(**SIZES, use_moe=True)
