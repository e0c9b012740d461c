"""The learning side: RQEN and the methods it is compared with."""
