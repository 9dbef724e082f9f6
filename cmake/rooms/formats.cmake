# formats: one header per format.
penstock_room(formats USES io sources HEADERS
)
