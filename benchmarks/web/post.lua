-- What wrk sends: the same small message, again and again.
wrk.method = "POST"
wrk.body = '{"msg": {"text": "' .. string.rep("x", 100) .. '"}}'
wrk.headers["Content-Type"] = "application/json"
