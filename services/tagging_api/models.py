from services.common import database

metadata = database.metadata()
