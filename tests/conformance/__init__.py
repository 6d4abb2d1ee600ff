"""Apps that run the library's conformance tests, each as a host would have it."""
