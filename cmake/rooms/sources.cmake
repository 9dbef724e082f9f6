# sources: std only.
penstock_room(sources USES core HEADERS
)
