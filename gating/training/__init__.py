"""Training the gate: pairs, loss, standardised features, several seeds in one stack."""
