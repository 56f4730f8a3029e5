"""Tables and images, out of whatever holds them: frames, files, folders, data sets, streams."""
