"""Protobuf messages of MEXC's websocket streams. The code is generated; the .proto files are its source."""
