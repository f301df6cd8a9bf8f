"""The few users `saras up --demo-users` starts with. Running it again changes nothing."""

from saras.client import Api
from saras.home import Home
from saras.seeding import Seeder
from saras.settings import PlatformSettings

NAMES = ("Asha Rao", "Bharat Iyer", "Chitra Nair", "Dev Mehta", "Esha Kapoor")
DEPOSIT = "1000000.00"


def make_demo_users(settings: PlatformSettings) -> list[str]:
    """Lines that tell their logins; each has a deposit, made once."""
    home = Home(settings.home)
    password = home.vault().get("demo_password")["demo_password"]
    people = [(f"{name.split()[0].lower()}@demo.example.com", name) for name in NAMES]
    seeded = Seeder(settings.url, home).seed(people, password)
    for user in seeded:
        with Api(settings.url, token=user.token) as api:
            api.post("/funds/deposit", {"amount": DEPOSIT}, key="demo-users-first-deposit")
    logins = ", ".join(user.email for user in seeded)
    return [f"[bold]Users[/]    {logins}", f"         password of each: {password}"]
