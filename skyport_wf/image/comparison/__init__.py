"""What two images differ in: packages, files, metadata. From byte streams alone, in bounded memory."""
