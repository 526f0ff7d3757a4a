"""From pictures to hand meshes with a trained model."""
