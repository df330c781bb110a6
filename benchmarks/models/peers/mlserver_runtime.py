"""The model as a runtime of MLServer, whose adaptive batching joins requests along the first axis."""

import os

from mlserver import MLModel
from mlserver.codecs import NumpyCodec, StringCodec
from mlserver.types import InferenceRequest, InferenceResponse

from benchmarks.models.work import loaded


class Flowers(MLModel):
    async def load(self) -> bool:
        self._model = loaded(os.environ["BENCH_MODEL"])
        return True

    async def predict(self, payload: InferenceRequest) -> InferenceResponse:
        rows = NumpyCodec.decode_input(payload.inputs[0])
        output = StringCodec.encode_output("species", self._model.predict_batch(rows.tolist()))
        return InferenceResponse(model_name=self.name, outputs=[output])
