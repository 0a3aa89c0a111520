"""What the pages about faces share: choices, answers of workers, pictures with faces marked."""
