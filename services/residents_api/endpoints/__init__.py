"""HTTP in, schema out."""

from services.residents_api.endpoints import areas, code_lists, housing, imports, people

routers = (areas.router, code_lists.router, people.router, housing.router, imports.router)
