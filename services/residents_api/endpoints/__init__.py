"""HTTP in, schema out."""

from services.residents_api.endpoints import areas

routers = (areas.router,)
