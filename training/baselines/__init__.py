"""What SAC is measured against. Every method is of one interface: a subject, picture and model, to a label map."""
