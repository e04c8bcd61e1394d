"""Every REST endpoint of the testnet: what the application routes and ``/openapi.json`` describes."""

from __future__ import annotations

from exchange.testnet.http import rest_account, rest_market, rest_orders, rest_profile, rest_wallet

ENDPOINTS = (
    *rest_market.ENDPOINTS,
    *rest_orders.ENDPOINTS,
    *rest_account.ENDPOINTS,
    *rest_profile.ENDPOINTS,
    *rest_wallet.ENDPOINTS,
)
