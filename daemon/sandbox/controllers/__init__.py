"""What a rollout needs of a real control plane: Deployments, ReplicaSets, endpoints."""
