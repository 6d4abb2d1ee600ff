"""What a registry of models is; knows neither Flask nor Marshmallow."""
