# stages: std only, one header per stage.
penstock_room(stages USES sources HEADERS
)
