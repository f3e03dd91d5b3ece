"""What the tests of several rooms share: database servers, comparisons."""
