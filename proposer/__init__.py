"""The proposer: writes new kinds of questions and sends them through the simulator's tests into the curriculum."""
