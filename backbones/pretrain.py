"""Pretrain the bundled backbone: next-token loss, then next-token and Bradley-Terry on weak pairs.

The Bradley-Terry part trains the state at the last token to hold information about the response: a stand-in
for the reward model that the published method starts from. 500 seconds on one H200 gave the weights in
`tiny/`.

python -m backbones.pretrain TOKENIZER CORPUS OUT --seconds 500
"""

import argparse
import time
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, logsigmoid
from transformers import AutoTokenizer, LlamaConfig, LlamaForCausalLM

from backbones.corpus import corpus_files, documents
from backbones.weak_pairs import LONGEST, Ids, corrupted

CONTEXT = 1024
PAIR_CONTEXT = 384
PAIRS_OF_A_BATCH = 96
PEAK_RATE, WARM_UP_STEPS = 3e-3, 300
PAIRS_FROM = 0.75
"""Fraction of the time after which batches of pairs are added."""
PAIR_WEIGHT = 0.3


def encode_file(tokenizer_folder: Path, path: Path) -> tuple[Ids, list[Ids], list[Ids]]:
    """One file as a stream of ids, and the prompts and responses of its conversations."""
    tokenizer = AutoTokenizer.from_pretrained(tokenizer_folder)
    begin, end = tokenizer.bos_token_id, tokenizer.convert_tokens_to_ids("<|end_of_text|>")
    stream: list[Ids] = []
    prompts: list[Ids] = []
    responses: list[Ids] = []

    def ids(text: str) -> list[int]:
        return tokenizer(text, add_special_tokens=False)["input_ids"]

    for document in documents(path):
        if document["kind"] == "text":
            stream.append(np.array([begin, *ids(document["text"]), end], dtype=np.uint16))
            continue
        messages = document["messages"]
        stream.append(np.array([*ids(tokenizer.apply_chat_template(messages, tokenize=False)), end], dtype=np.uint16))
        if messages[-1]["role"] != "assistant" or len(messages) < 2:
            continue
        before = tokenizer.apply_chat_template(messages[:-1], tokenize=False, add_generation_prompt=True)
        prompt, response = ids(before), ids(messages[-1]["content"].strip())
        if len(prompt) + 1 < PAIR_CONTEXT - 3 and len(response) >= 3:
            prompts.append(np.array(prompt, dtype=np.uint16))
            responses.append(np.array(response[:LONGEST], dtype=np.uint16))
    return np.concatenate(stream), prompts, responses


def tiny_llama(tokenizer: AutoTokenizer) -> LlamaForCausalLM:
    """The bundled backbone's architecture: 8 layers of width 256, 4 heads, 2 key-value heads."""
    return LlamaForCausalLM(
        LlamaConfig(
            vocab_size=len(tokenizer),
            hidden_size=256,
            num_hidden_layers=8,
            num_attention_heads=4,
            num_key_value_heads=2,
            intermediate_size=768,
            max_position_embeddings=2048,
            tie_word_embeddings=True,
            bos_token_id=tokenizer.bos_token_id,
            eos_token_id=tokenizer.eos_token_id,
            pad_token_id=tokenizer.pad_token_id,
        )
    )


class Pretraining:
    """Model, data and optimiser of one run."""

    def __init__(self, tokenizer_folder: Path, corpus: Path, device: str, batch: int) -> None:
        self.tokenizer = AutoTokenizer.from_pretrained(tokenizer_folder)
        files = corpus_files(corpus)
        with ProcessPoolExecutor(len(files)) as pool:
            parts = list(pool.map(partial(encode_file, tokenizer_folder), files))
        stream = np.concatenate([part[0] for part in parts])
        self.prompts = [prompt for part in parts for prompt in part[1]]
        self.responses = [response for part in parts for response in part[2]]
        held_out = min(1_000_000, len(stream) // 10)
        self.device, self.batch = device, batch
        self.validation = torch.from_numpy(stream[:held_out].astype(np.int64)).to(device)  # (v,)
        self.training = torch.from_numpy(stream[held_out:].astype(np.int32)).to(device)  # (t,)
        self.model = tiny_llama(self.tokenizer).to(device)
        self.head = nn.Linear(self.model.config.hidden_size, 1).to(device)
        matrices = [parameter for parameter in self.model.parameters() if parameter.ndim > 1]
        vectors = [parameter for parameter in self.model.parameters() if parameter.ndim <= 1]
        groups = [
            {"params": matrices, "weight_decay": 0.1},
            {"params": [*vectors, *self.head.parameters()], "weight_decay": 0.0},
        ]
        self.optimiser = torch.optim.AdamW(groups, lr=PEAK_RATE, betas=(0.9, 0.95))
        self.random = np.random.default_rng(0)

    def language_loss(self, ids: Tensor) -> Tensor:
        """Next-token loss of sequences (b, CONTEXT + 1)."""
        states = self.model.model(input_ids=ids[:, :-1], use_cache=False).last_hidden_state  # (b, CONTEXT, d)
        logits = states.flatten(0, 1) @ self.model.lm_head.weight.T.to(states.dtype)  # (b * CONTEXT, vocabulary)
        return cross_entropy(logits.float(), ids[:, 1:].flatten())

    def pair_loss(self) -> Tensor:
        """Bradley-Terry loss of a batch of weak pairs, read at the token that closes the response."""
        ids = torch.full((2 * PAIRS_OF_A_BATCH, PAIR_CONTEXT), self.tokenizer.pad_token_id)  # (2 b, PAIR_CONTEXT)
        last = torch.zeros(len(ids), dtype=torch.long)  # (2 b,)
        for pair in range(PAIRS_OF_A_BATCH):
            which = int(self.random.integers(len(self.prompts)))
            for side, response in enumerate((self.responses[which], corrupted(self.responses, which, self.random))):
                sequence = np.concatenate([self.prompts[which], response])[: PAIR_CONTEXT - 1]
                sequence = np.append(sequence, self.tokenizer.eos_token_id).astype(np.int64)
                ids[2 * pair + side, : len(sequence)] = torch.from_numpy(sequence)
                last[2 * pair + side] = len(sequence) - 1
        states = self.model.model(input_ids=ids.to(self.device), use_cache=False).last_hidden_state
        ends = states[torch.arange(len(ids), device=self.device), last.to(self.device)]  # (2 b, d)
        scores = self.head(ends.float()).view(-1, 2)  # (b, 2) better, worse
        return -logsigmoid(scores[:, 0] - scores[:, 1]).mean()

    def sample(self) -> Tensor:
        """Random windows of the training stream. Shape (batch, CONTEXT + 1)."""
        starts = torch.randint(len(self.training) - CONTEXT - 1, (self.batch, 1), device=self.device)
        return self.training[starts + torch.arange(CONTEXT + 1, device=self.device)].long()

    def run(self, seconds: float) -> None:
        """Train for a number of seconds: warm-up, then a rate that falls over the second half."""
        started, step = time.monotonic(), 0
        while (done := (time.monotonic() - started) / seconds) < 1:
            rate = PEAK_RATE * min(1.0, (step + 1) / WARM_UP_STEPS) * min(1.0, max(0.02, (1 - done) / 0.5))
            for group in self.optimiser.param_groups:
                group["lr"] = rate
            with torch.autocast(self.device.split(":")[0], torch.bfloat16):
                loss = self.language_loss(self.sample())
                if done >= PAIRS_FROM and self.prompts:
                    loss = loss + PAIR_WEIGHT * self.pair_loss()
            loss.backward()
            nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
            self.optimiser.step()
            self.optimiser.zero_grad(set_to_none=True)
            step += 1
            if step % 200 == 0:
                print(f"step {step}: loss {loss.item():.3f}, rate {rate:.1e}, {done:.0%} of the time", flush=True)

    @torch.inference_mode()
    def validation_loss(self) -> float:
        """Mean next-token loss in nats on the held-out stream."""
        whole = len(self.validation) // (CONTEXT + 1) * (CONTEXT + 1)
        windows = self.validation[:whole].view(-1, CONTEXT + 1)
        with torch.autocast(self.device.split(":")[0], torch.bfloat16):
            return float(np.mean([self.language_loss(part).item() for part in windows.split(self.batch)]))

    def save(self, out: Path) -> None:
        """Write float16 weights, configuration and tokenizer."""
        self.model.eval().to(torch.float16).save_pretrained(out)
        self.tokenizer.save_pretrained(out)


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("tokenizer", type=Path)
    parser.add_argument("corpus", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--seconds", type=float, default=500)
    parser.add_argument("--batch", type=int, default=192, help="sequences of 1,024 tokens")
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    arguments = parser.parse_args()
    torch.manual_seed(0)
    training = Pretraining(arguments.tokenizer, arguments.corpus, arguments.device, arguments.batch)
    training.run(arguments.seconds)
    training.save(arguments.out)
    print(f"validation loss {training.validation_loss():.3f} nats a token; saved to {arguments.out}")


if __name__ == "__main__":
    main()
