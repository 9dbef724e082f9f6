# image: libspng and libjpeg-turbo.
