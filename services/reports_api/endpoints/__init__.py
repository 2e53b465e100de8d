"""HTTP in, schema out."""

from services.reports_api.endpoints import photos, reports, statistics

# Statistics first: `/v1/reports/statistics` is no report's id.
routers = (statistics.router, reports.router, photos.router)
