"""A server of transformers and FastAPI, as people write one: requests that wait are answered in one padded batch.

python -m benchmarks.serve.transformers_server CLASSIFIER --port 8001 --batch 8

It answers `POST /classify` in the form of vLLM's, with the classifier's raw number. One thread computes; while it does,
requests collect. `transformers serve` itself generates text and transcribes, and has no route for a classifier.
"""

import argparse
import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import torch
import uvicorn
from fastapi import FastAPI
from pydantic import BaseModel
from transformers import AutoModelForSequenceClassification, AutoTokenizer

Waiting = tuple[list[dict[str, str]], "asyncio.Future[float]"]


class Classify(BaseModel):
    """A request: one conversation. Other keys are ignored."""

    messages: list[dict[str, str]]


class Classifier:
    """Numbers of conversations, in padded batches.

    Args:
        folder: a folder of a class `…ForSequenceClassification`, with its tokenizer.
        batch: most conversations of a batch.
    """

    def __init__(self, folder: Path, batch: int) -> None:
        self._tokenizer: Any = AutoTokenizer.from_pretrained(folder)
        self._model = AutoModelForSequenceClassification.from_pretrained(folder).eval()  # type: ignore[no-untyped-call]
        self._batch = batch
        self._waiting: asyncio.Queue[Waiting] = asyncio.Queue()

    def numbers(self, conversations: list[list[dict[str, str]]]) -> list[float]:
        """The raw number of each conversation."""
        encoded = self._tokenizer.apply_chat_template(
            conversations, padding=True, return_tensors="pt", return_dict=True
        )
        with torch.inference_mode():
            logits = self._model(**encoded).logits  # (b, 1)
        return [float(number) for number in logits[:, 0]]

    async def number(self, conversation: list[dict[str, str]]) -> float:
        """The raw number of one conversation, in a batch with others that wait."""
        answer: asyncio.Future[float] = asyncio.get_running_loop().create_future()
        await self._waiting.put((conversation, answer))
        return await answer

    async def work(self) -> None:
        """Answer what waits, batch by batch, for ever."""
        while True:
            taken = [await self._waiting.get()]
            while len(taken) < self._batch and not self._waiting.empty():
                taken.append(self._waiting.get_nowait())
            try:
                numbers = await asyncio.to_thread(self.numbers, [conversation for conversation, _ in taken])
            except Exception as error:  # answered with 500, so that a client counts it
                for _, answer in taken:
                    answer.set_exception(error)
                continue
            for (_, answer), number in zip(taken, numbers, strict=True):
                if not answer.cancelled():
                    answer.set_result(number)


def app(folder: Path, batch: int) -> FastAPI:
    """The server's routes."""
    classifier = Classifier(folder, batch)

    @asynccontextmanager
    async def working(_: FastAPI) -> AsyncIterator[None]:
        work = asyncio.create_task(classifier.work())
        yield
        work.cancel()

    made = FastAPI(lifespan=working)

    @made.post("/classify")
    async def classify(body: Classify) -> dict[str, Any]:
        return {"data": [{"index": 0, "probs": [await classifier.number(body.messages)]}]}

    @made.get("/health")
    async def health() -> dict[str, str]:
        return {"status": "ok"}

    return made


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="folder that benchmarks.plain_classifier wrote")
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--batch", type=int, default=8)
    arguments = parser.parse_args()
    uvicorn.run(app(arguments.folder, arguments.batch), port=arguments.port, log_level="warning")


if __name__ == "__main__":
    main()
