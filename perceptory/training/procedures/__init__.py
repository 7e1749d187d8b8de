"""How a member's weights come to move. There are three ways, behind one protocol (`base.Procedure`).

| procedure | for | an epoch is |
|---|---|---|
| `solved.Solved` | networks that are solved from their rows at the start | nothing |
| `first_order.GradientSteps` | optimizers that see the gradient of a batch | one step a batch |
| `second_order.Iterations` | optimizers that see the whole cost | one iteration |

`first_order.Averaged` goes around the second where weights are averaged. `table.procedure_of` chooses, by the types of
network and optimizer; nothing else in training asks which one it is.
"""
