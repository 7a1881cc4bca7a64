"""The method in torch: tensors in, tensors out."""
