"""What is done to a device."""


def push(state, context, device_id="", **_):
    """Pushes to one device."""
    return {"pushed": device_id}


raise AssertionError("a check imports nothing")
