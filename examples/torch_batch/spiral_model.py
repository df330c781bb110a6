"""The model as MLQ hosts it: a small network that gets a whole batch as one tensor."""

import math

import torch
from pydantic import BaseModel, Field
from torch import nn

TURNS = 1.5
STEPS = 400


class Spirals:
    """Tells on which of two spirals, one within the other, a point lies."""

    name, version = "spirals", "1"

    class Input(BaseModel):
        x: float = Field(ge=-1, le=1)
        y: float = Field(ge=-1, le=1)

    class Output(BaseModel):
        spiral: int
        probability: float
        device: str
        together: int = Field(description="how many points were predicted by the same call")

    def load(self, device: str) -> None:
        """Train on points with noise, which takes some seconds; yours would read its weights from a file."""
        self.device = "cuda" if device == "auto" and torch.cuda.is_available() else device.replace("auto", "cpu")
        torch.manual_seed(7)
        self.network = nn.Sequential(nn.Linear(2, 64), nn.Tanh(), nn.Linear(64, 64), nn.Tanh(), nn.Linear(64, 1))
        self.network.to(self.device)
        points, labels = (tensor.to(self.device) for tensor in spirals(1000))
        optimizer = torch.optim.Adam(self.network.parameters(), lr=0.01)
        for _ in range(STEPS):
            optimizer.zero_grad()
            loss = nn.functional.binary_cross_entropy_with_logits(self.network(points)[:, 0], labels)
            loss.backward()
            optimizer.step()

    @torch.inference_mode()
    def predict_batch(self, points: list[Input]) -> list[Output]:
        """One tensor to the device, one call of the network, one tensor back."""
        tensor = torch.tensor([[point.x, point.y] for point in points], device=self.device)
        probabilities = torch.sigmoid(self.network(tensor)[:, 0]).tolist()
        return [
            self.Output(spiral=round(one), probability=max(one, 1 - one), device=self.device, together=len(points))
            for one in probabilities
        ]


def spirals(count: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Points of both spirals, with some noise, and the number of the spiral that each lies on."""
    labels = torch.arange(count) % 2
    radius = torch.rand(count).sqrt()
    angle = radius * TURNS * 2 * math.pi + labels * math.pi
    points = torch.stack([radius * angle.cos(), radius * angle.sin()], dim=1) * 0.9
    return points + 0.02 * torch.randn(count, 2), labels.float()
