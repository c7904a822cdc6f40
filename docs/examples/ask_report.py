from polling_adapter import PollingSession

url = "http://127.0.0.1:5000/reports"  # with uvicorn and Django: 8000
with PollingSession() as session:
    print(session.post(url, params={"year": 2025}).json())
