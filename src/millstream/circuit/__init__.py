"""A program's plans as a running graph of operators: build.py makes it, circuit.py steps it, inputs.py feeds it."""

from millstream.circuit.circuit import Circuit, StepResult
from millstream.circuit.snapshot import CircuitSnapshot

__all__ = ["Circuit", "CircuitSnapshot", "StepResult"]
