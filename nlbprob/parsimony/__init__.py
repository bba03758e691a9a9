"""How parsimonious a fitted model is: measures beside its accuracy, and the Pareto front of both."""
