"""The families of the table in docs/families.md: a small random model of each class, with a template of its shape.

A template here is written for the bundled tokenizer's special tokens, in the shape that the family's own has: the order
of its parts, what it opens and closes, its default system turn, and where white space comes.
"""

import shutil
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import torch
from transformers import AutoConfig, AutoModelForCausalLM, AutoModelForSequenceClassification

from tests.conftest import TINY

BOS, END, OPEN, CLOSE, EOT = (
    "<|begin_of_text|>",
    "<|end_of_text|>",
    "<|start_header_id|>",
    "<|end_header_id|>",
    "<|eot_id|>",
)


def turns(each: str, *, start: str = "", default_system: str = "", generation: str = "") -> str:
    """A template that writes `each` for every message `m`, after `start` and perhaps a system turn of its own."""
    opening = "{{ '" + start + "' }}" if start else ""
    if default_system:
        opening += "{% if messages[0]['role'] != 'system' %}{{ '" + default_system + "' }}{% endif %}"
    closing = "{% if add_generation_prompt %}{{ '" + generation + "' }}{% endif %}"
    return opening + "{% for m in messages %}" + each + "{% endfor %}" + closing


HEADER = f"'{OPEN}' + m['role'] + '{CLOSE}\n\n' + m['content'] | trim + '{EOT}'"
CHATML = f"'{OPEN}' + m['role'] + '\n' + m['content'] + '{EOT}\n'"
NO_SYSTEM = "{% if m['role'] == 'system' %}{{ raise_exception('there is no system role') }}{% endif %}"

LLAMA_3 = turns(f"{{{{ {HEADER} }}}}", start=BOS, generation=f"{OPEN}assistant{CLOSE}\\n\\n")
QWEN_2 = turns(
    f"{{{{ {CHATML} }}}}",
    default_system=f"{OPEN}system\\nYou answer questions.{EOT}\\n",
    generation=f"{OPEN}assistant\\n",
)
SMOLLM_2 = turns(
    f"{{{{ {CHATML} }}}}",
    default_system=f"{OPEN}system\\nYou are a small model that helps.{EOT}\\n",
    generation=f"{OPEN}assistant\\n",
)


def thinking(shown: bool) -> str:
    """A thought in front of the last response: an empty one, or one that is taken from the message."""
    thought = (
        "{% if loop.last and m['role'] == 'assistant' %}{{ '(thought)\n\n(end of thought)\n\n' }}{% endif %}"
        if not shown
        else "{% if m['role'] == 'assistant' and m['reasoning_content'] is defined %}"
        "{{ '(thought)\n' + m['reasoning_content'] + '\n(end of thought)\n\n' }}{% endif %}"
    )
    return turns(
        "{{ '" + OPEN + "' + m['role'] + '\n' }}" + thought + "{{ m['content'] + '" + EOT + "\n' }}",
        generation=f"{OPEN}assistant\\n",
    )


MISTRAL = turns(
    "{% if m['role'] == 'user' %}{{ '" + OPEN + " ' + m['content'] + ' " + CLOSE + "' }}"
    "{% elif m['role'] == 'assistant' %}{{ ' ' + m['content'] | trim + '" + END + "' }}"
    "{% else %}{{ raise_exception('there is no system role') }}{% endif %}",
    start=BOS,
)
MINISTRAL = turns(
    "{% if m['role'] == 'user' %}{{ '" + OPEN + "' + m['content'] + '" + CLOSE + "' }}"
    "{% elif m['role'] == 'assistant' %}{{ m['content'] + '" + END + "' }}"
    "{% else %}{{ '[SYSTEM]' + m['content'] + '[/SYSTEM]' }}{% endif %}",
    start=BOS,
)
GEMMA = turns(
    NO_SYSTEM + "{% set role = 'model' if m['role'] == 'assistant' else m['role'] %}"
    "{{ '" + OPEN + "' + role + '\n' + m['content'] | trim + '" + EOT + "\n' }}",
    start=BOS,
    generation=f"{OPEN}model\\n",
)
PHI = turns(
    "{{ '" + OPEN + "' + m['role'] + '" + CLOSE + "' + m['content'] + '" + EOT + "' }}",
    generation=f"{OPEN}assistant{CLOSE}",
)
OLMO = turns(
    "{{ '" + OPEN + "' + m['role'] + '" + CLOSE + "\n' + m['content'] }}"
    "{% if m['role'] == 'assistant' %}{{ '" + END + "' }}{% else %}{{ '\n' }}{% endif %}",
    start=END,
    generation=f"{OPEN}assistant{CLOSE}\\n",
)
NEOX = turns(
    "{% if m['role'] == 'user' %}{{ '" + OPEN + "' }}{% else %}{{ '" + CLOSE + "' }}{% endif %}"
    "{{ m['content'] + '" + END + "' }}",
    generation=CLOSE,
)
FALCON = turns(
    "{% if m['role'] == 'user' %}{{ 'User: ' }}{% else %}{{ 'Falcon: ' }}{% endif %}{{ m['content'] | trim + '"
    + END
    + "\n' }}",
    generation="Falcon:",
)
DEEPSEEK = turns(
    "{% if m['role'] == 'user' %}{{ '" + OPEN + "' + m['content'] }}"
    "{% elif m['role'] == 'assistant' %}{{ '" + CLOSE + "' + m['content'] + '" + END + "' }}"
    "{% else %}{{ m['content'] }}{% endif %}",
    start=BOS,
    generation=CLOSE,
)
GPT_OSS = turns(
    "{% if m['role'] == 'assistant' %}{{ '" + OPEN + "assistant' + ' final" + CLOSE + "' + m['content'] }}"
    "{% if loop.last %}{{ '" + END + "' }}{% else %}{{ '" + EOT + "' }}{% endif %}"
    "{% else %}{{ '" + OPEN + "' + m['role'] + '" + CLOSE + "' + m['content'] + '" + EOT + "' }}{% endif %}",
    default_system=f"{OPEN}system{CLOSE}You are a model. Channels: final.{EOT}",
    generation=f"{OPEN}assistant",
)
GRANITE = turns(
    "{{ '" + OPEN + "' + m['role'] + '" + CLOSE + "' + m['content'] + '" + END + "\n' }}",
    default_system=f"{OPEN}system{CLOSE}You are careful.{END}\\n",
    generation=f"{OPEN}assistant{CLOSE}",
)
COHERE = turns(
    "{% set who = {'user': 'USER', 'assistant': 'CHATBOT', 'system': 'SYSTEM'}[m['role']] %}"
    "{{ '" + OPEN + "' + who + '" + CLOSE + "' + m['content'] | trim + '" + EOT + "' }}",
    start=BOS,
    generation=f"{OPEN}CHATBOT{CLOSE}",
)

SHAPES = {
    LLAMA_3: "a header and a closing token for each turn",
    QWEN_2: "ChatML, a system turn by default, a newline after each turn",
    SMOLLM_2: "ChatML, a system turn by default, a newline after each turn",
    thinking(False): "ChatML, an empty thought in front of the last response alone",
    thinking(True): "ChatML, a thought where the message brings one",
    MISTRAL: "brackets around the user's text, no system turn",
    MINISTRAL: "brackets around the user's text, a system text in front",
    GEMMA: "roles user and model, no system turn, a newline after each turn",
    PHI: "a header and a closing token for each turn, no white space",
    OLMO: "headers, a newline closes the user's turn",
    NEOX: "one token opens a turn, another closes it",
    FALCON: "names in plain text, a closing token",
    DEEPSEEK: "nothing closes the user's turn but the response's opening token",
    GPT_OSS: "a system turn by default, a channel, another closing token for the last response",
    GRANITE: "a header for each turn, the end of text and a newline close it",
    COHERE: "roles in capitals, a closing token for each turn",
}
"""Template -> its shape in words, for the table."""

SMALL: dict[str, Any] = {"hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2, "num_attention_heads": 4}
SMALL |= {"num_key_value_heads": 2, "vocab_size": 8192, "max_position_embeddings": 2048}
SMALL |= {"bos_token_id": 0, "eos_token_id": 4, "pad_token_id": 5}


@dataclass(frozen=True, slots=True)
class Family:
    """A class of transformers that people use as a backbone."""

    name: str
    """As the table calls it."""
    model_type: str
    template: str
    config: dict[str, Any] = field(default_factory=dict)
    """Settings of the configuration beside `SMALL`."""
    classifier: bool = False
    """Whether the folder holds a sequence classifier of one output."""
    position: Literal["end_of_turn", "last_token"] = "end_of_turn"
    """`backbone.position`."""

    def write(self, folder: Path) -> Path:
        """Write a random model of the family with the bundled tokenizer and the family's template."""
        torch.manual_seed(0)
        config = AutoConfig.for_model(self.model_type, **SMALL | self.config)
        if self.classifier:
            config.num_labels = 1
        auto = AutoModelForSequenceClassification if self.classifier else AutoModelForCausalLM
        model = auto.from_config(config)
        with torch.no_grad():
            for parameter in model.parameters():
                if parameter.dim() > 1:
                    parameter.mul_(3)  # so that tokens are told apart
        model.save_pretrained(folder)
        for name in ("tokenizer.json", "tokenizer_config.json"):
            shutil.copy(TINY / name, folder)
        (folder / "chat_template.jinja").write_text(self.template)
        return folder


MLA = {"num_key_value_heads": 4, "moe_intermediate_size": 32, "n_routed_experts": 4, "n_group": 1, "topk_group": 1}
MLA |= {"num_experts_per_tok": 2, "first_k_dense_replace": 1, "kv_lora_rank": 8, "q_lora_rank": 8}
MLA |= {"qk_rope_head_dim": 8, "qk_nope_head_dim": 8, "v_head_dim": 8}

FAMILIES = (
    Family("Llama 3.x", "llama", LLAMA_3),
    Family("SmolLM2 (Llama)", "llama", SMOLLM_2, {"tie_word_embeddings": True}),
    Family("SmolLM3", "smollm3", thinking(False)),
    Family("Qwen 2", "qwen2", QWEN_2),
    Family("Qwen 3, thinking off", "qwen3", thinking(False), {"head_dim": 8}),
    Family("Qwen 3, thinking on", "qwen3", thinking(True), {"head_dim": 8}),
    Family(
        "Qwen 3 MoE",
        "qwen3_moe",
        thinking(False),
        {"num_experts": 4, "moe_intermediate_size": 32, "num_experts_per_tok": 2},
    ),
    Family(
        "Qwen 3-Next",
        "qwen3_next",
        thinking(False),
        {
            "num_experts": 4,
            "moe_intermediate_size": 32,
            "num_experts_per_tok": 2,
            "shared_expert_intermediate_size": 32,
            "head_dim": 8,
            "layer_types": ["linear_attention", "full_attention"],
            "linear_num_key_heads": 2,
            "linear_num_value_heads": 4,
            "linear_key_head_dim": 8,
            "linear_value_head_dim": 8,
        },
    ),
    Family("Mistral", "mistral", MISTRAL, {"sliding_window": 24}),
    Family(
        "Ministral",
        "ministral",
        MINISTRAL,
        {"sliding_window": 24, "head_dim": 8, "layer_types": ["sliding_attention", "full_attention"]},
    ),
    Family("Ministral 3", "ministral3", MINISTRAL, {"head_dim": 8}),
    Family("Mixtral", "mixtral", MISTRAL, {"num_local_experts": 4}),
    Family("Gemma 2", "gemma2", GEMMA, {"head_dim": 8, "sliding_window": 24, "query_pre_attn_scalar": 8}),
    Family(
        "Gemma 3",
        "gemma3_text",
        GEMMA,
        {
            "head_dim": 8,
            "sliding_window": 24,
            "query_pre_attn_scalar": 8,
            "layer_types": ["sliding_attention", "full_attention"],
        },
    ),
    Family("Phi 2", "phi", PHI),
    Family("Phi 3, Phi 4", "phi3", PHI),
    Family("OLMo", "olmo", OLMO, position="last_token"),
    Family("OLMo 2", "olmo2", OLMO, position="last_token"),
    Family("GPT-NeoX (Pythia)", "gpt_neox", NEOX),
    Family("GPT-2", "gpt2", NEOX, {"n_positions": 2048}),
    Family("OPT", "opt", NEOX, {"ffn_dim": 48, "word_embed_proj_dim": 32}),
    Family("Falcon", "falcon", FALCON, {"new_decoder_architecture": True, "num_kv_heads": 2}),
    Family("Bloom", "bloom", NEOX),
    Family("MPT", "mpt", QWEN_2, {"d_model": 32, "n_heads": 4, "n_layers": 2, "max_seq_len": 2048}),
    Family("DeepSeek V2", "deepseek_v2", DEEPSEEK, MLA),
    Family("DeepSeek V3, R1", "deepseek_v3", DEEPSEEK, MLA),
    Family(
        "gpt-oss",
        "gpt_oss",
        GPT_OSS,
        {
            "head_dim": 8,
            "num_local_experts": 4,
            "num_experts_per_tok": 2,
            "sliding_window": 24,
            "rope_parameters": {"rope_type": "default", "rope_theta": 1e4},
        },
    ),
    Family("Granite", "granite", GRANITE),
    Family(
        "Granite 4 hybrid",
        "granitemoehybrid",
        GRANITE,
        {
            "layer_types": ["mamba", "attention"],
            "mamba_n_heads": 4,
            "mamba_d_head": 16,
            "mamba_d_state": 8,
            "shared_intermediate_size": 48,
            "num_local_experts": 4,
            "num_experts_per_tok": 2,
        },
    ),
    Family("Cohere (Command R)", "cohere", COHERE),
    Family(
        "Cohere 2", "cohere2", COHERE, {"sliding_window": 24, "layer_types": ["sliding_attention", "full_attention"]}
    ),
    Family("GLM 4", "glm4", PHI, {"head_dim": 8}),
    Family("Nemotron", "nemotron", QWEN_2),
    Family("StableLM", "stablelm", QWEN_2),
    Family("StarCoder 2", "starcoder2", QWEN_2),
    Family("Mamba", "mamba", NEOX, {"state_size": 8}),
    Family("Mamba 2", "mamba2", NEOX, {"state_size": 8, "num_heads": 8, "head_dim": 8, "n_groups": 1}),
    Family("Falcon Mamba", "falcon_mamba", FALCON, {"state_size": 8}),
    Family(
        "Falcon H1",
        "falcon_h1",
        QWEN_2,
        {"mamba_d_ssm": 32, "mamba_n_heads": 4, "mamba_d_head": 8, "mamba_d_state": 8, "head_dim": 8},
    ),
    Family(
        "Jamba",
        "jamba",
        PHI,
        {
            "num_experts": 2,
            "num_experts_per_tok": 1,
            "mamba_d_state": 8,
            "use_mamba_kernels": False,
            "attn_layer_period": 2,
            "attn_layer_offset": 1,
            "expert_layer_period": 2,
        },
    ),
    Family("RWKV", "rwkv", NEOX, {"attention_hidden_size": 32}),
    Family(
        "RecurrentGemma",
        "recurrent_gemma",
        GEMMA,
        {"lru_width": 32, "block_types": ["recurrent", "attention"], "attention_window_size": 24, "head_dim": 8},
    ),
    Family("LFM2", "lfm2", QWEN_2, {"layer_types": ["conv", "full_attention"]}),
    Family(
        "Llama 4 (text)",
        "llama4_text",
        LLAMA_3,
        {"num_local_experts": 2, "intermediate_size_mlp": 48, "head_dim": 8, "attention_chunk_size": 100},
    ),
    Family("FsfairX: a Llama 3 classifier", "llama", LLAMA_3, classifier=True),
    Family("BERT", "bert", QWEN_2),
)
