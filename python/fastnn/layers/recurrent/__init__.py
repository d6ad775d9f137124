"""Recurrent layers: SimpleRNN, LSTM and GRU with their cells, and RNN around any cell."""

from __future__ import annotations

from .gru import GRU, GRUCell
from .lstm import LSTM, LSTMCell
from .rnn import RNN
from .simple_rnn import SimpleRNN, SimpleRNNCell
from .stack import StackedRNNCells
