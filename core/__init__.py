"""What the workbench computes: one package a chapter, and the runtime that serves them all."""
